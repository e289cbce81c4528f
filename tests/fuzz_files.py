"""Small files of every kind that minivae reads, whole ones and such as nobody wishes for."""

import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
from data_sets import idx
from PIL import Image

HUGE = 10**11


class Trap:
    """Whoever unpickles it leaves a folder."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


# ---- IDX ----

def idx_files() -> list[bytes]:
    plain = idx(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    return [plain, gzip.compress(plain, mtime=0), idx(np.arange(3, dtype=np.uint8)), idx(np.zeros((2, 3, 4, 3), np.uint8))]


def idx_corpus() -> list[bytes]:
    many = bytes([0, 0, 8, 255]) + b"\0\0\0\2" * 255
    return [b"", b"\0", bytes(4), many, bytes([0, 0, 8, 3]) + b"\xff" * 12, bytes([0, 0, 8, 4]) + b"\0\1\0\0" * 4,
            bytes([0, 0, 8, 1, 0x7F, 0xFF, 0xFF, 0xFF]), gzip.compress(bytes(1 << 24), mtime=0),
            gzip.compress(idx(np.zeros((2, 2), np.uint8)) + bytes(1 << 24), mtime=0), gzip.compress(b"", mtime=0) * 500,
            b"\x1f\x8b\x08\x1c" + b"\xff" * 100, b"\x1f\x8b", bytes([0, 0, 0x0D, 1, 0, 0, 0, 1]) + bytes(4)]


# ---- arrays ----

def npy(array, **options) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def header(text: str, data: bytes = b"", version=(1, 0)) -> bytes:
    """An .npy file with a header of that text."""
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes(version) + size + text.encode() + b"\n" + data


def shaped(shape, kind="|u1", data=b"") -> bytes:
    return header(repr({"descr": kind, "fortran_order": False, "shape": shape}), data)


def npz(compression=zipfile.ZIP_STORED, **members) -> bytes:
    """An .npz file of arrays, or of bytes as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member if isinstance(member, bytes) else npy(member))
    return out.getvalue()


def nasty_arrays() -> list[bytes]:
    """.npy files that promise what they don't keep."""
    nested, signs = "(" * 4000 + ")" * 4000, "-" * 9000 + "1"
    return [b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff{", b"\x93NUMPY\2\0\xff\xff\xff\xff{", b"\x93NUMPY\3\0\4\0\0\0{}  ",
            shaped((HUGE, 8)), shaped((2**62, 4)), shaped((2**64, 0)), shaped((-1, -8)), shaped((-4, 8, 8)), shaped(()), shaped((0,)),
            shaped((True, True, True), data=b"x"), shaped((4, 2, 2), "|O", bytes(128)), shaped((4, 2, 2), "|V0"), shaped((4, 2, 2), "|S0"),
            shaped((4, 2, 2), "<M8[s]", bytes(128)), shaped((4, 2, 2), "<c16", bytes(256)), shaped((4, 2, 2), "<f2", b"\0\x7c" * 16),
            shaped((2, 2, 2), [("a", "<f4"), ("b", "|u1")], bytes(40)), shaped((2, 2, 2), ("<f4", (3,)), bytes(96)),
            shaped((2, 2, 2), "<U1", b"\xff" * 32), shaped((1,) * 33, data=b"x"), shaped((1,) * 200, data=b"x"), shaped((4, 2, 2), "f" * 900),
            shaped((2, 2, 2), "<f16", bytes(128)), header(nested), header(signs), header("[" * 9000), header("{" * 90 + "}" * 90),
            header("1" * 9000), header("'\\N{DIGIT ONE}'"), header("{'descr': 1if 1else 2}"), header("b'\\d'"), header("\0" * 50),
            header("{'descr': '|u1', 'fortran_order': False, 'shape': (1L, 2L, 2L)}", b"abcd"),
            header("{'descr': '|u1', 'fortran_order': 2, 'shape': (1, 2, 2)}", b"abcd"), header("x" * 70_000, version=(2, 0)),
            npy(np.array([Trap()], dtype=object), allow_pickle=True), b"\x80\x04cos\nsystem\n(S'true'\ntR."]


def label_arrays() -> list[bytes]:
    """Labels that are none."""
    return [npy(labels) for labels in (np.array([0, 1, -1, 2]), np.array([2**63, 1, 2, 3], np.uint64), np.array([-2, 0, 0, 0]),
                                       np.array(["a"] * 4), np.zeros((4, 1), np.int8), np.zeros((4, 0), np.int8), np.array(3),
                                       np.array([0.0, 1, np.nan, 2]), np.array([True, False, True, True]))]


def zips(name: str) -> list[bytes]:
    """Archives whose member of that name is odd."""
    bomb = npz(zipfile.ZIP_DEFLATED, **{name: shaped((1 << 25, 1, 1), data=bytes(1 << 16))})
    found = [npz(**{name: array}) for array in nasty_arrays()]
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED):
        found.append(npz(compression, **{name: np.zeros((4, 8, 8), np.uint8)}))
    lzma = bytearray(found[-2])
    at = lzma.index(b"\x09\4\5\0") if b"\x09\4\5\0" in lzma else 50
    lzma[at + 5:at + 9] = b"\xff\xff\xff\xff"      # a dictionary of 4 GB
    lies = bytearray(npz(**{name: np.zeros((4, 8, 8), np.uint8)}))
    entry = lies.rindex(b"PK\1\2")
    lies[entry + 20:entry + 28] = b"\xff\xff\xff\x7f" * 2      # sizes
    encrypted = bytearray(npz(**{name: np.zeros((4, 8, 8), np.uint8)}))
    encrypted[6] |= 1
    encrypted[encrypted.rindex(b"PK\1\2") + 8] |= 1
    return [*found, bomb, bytes(lzma), bytes(lies), bytes(encrypted), b"PK\3\4", b"PK\5\6" + bytes(18), b"PK\5\6" + b"\xff" * 18,
            npz(**{f"../{name}": np.zeros(3), f"/{name}": np.zeros(3)})]


# ---- pictures ----

def picture(kind: str, mode: str = "RGB", size=(9, 7), **options) -> bytes:
    out = io.BytesIO()
    image = Image.linear_gradient("L").resize(size)
    (image if mode == "L" else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def floats() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, 63, dtype=np.float32).reshape(7, 9)).save(out, "TIFF")
    return out.getvalue()


def pictures() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return [picture("PNG"), picture("PNG", "L"), picture("PNG", "LA"), picture("PNG", "P"), picture("PNG", "I;16", exif=exif),
            picture("JPEG", exif=exif), picture("JPEG", "L", progressive=True), picture("JPEG", "CMYK"), picture("WEBP", exif=exif),
            picture("WEBP", "RGBA", lossless=True), picture("TIFF", exif=exif), floats(), picture("TIFF", "I;16"),
            picture("TIFF", "1", compression="group4"), picture("TIFF", compression="tiff_lzw"), picture("TIFF", compression="jpeg"),
            picture("TIFF", compression="tiff_deflate"), picture("BMP"), picture("BMP", "P"), picture("GIF", "P"), picture("GIF", "L"),
            picture("PPM"), picture("PPM", "L"), picture("PPM", "1"), b"P2\n3 2\n255\n0 9 200\n1 2 3\n", b"P3 1 1 99 1 2 99\n"]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth=8, colour=0, more=b"", data=b"") -> bytes:
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + more
            + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def tiff(entries, following: int = 0, first: int = 8) -> bytes:
    """A TIFF file with one directory of (tag, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", first) + struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def nasty_pictures() -> list[bytes]:
    sizes = [(256, 4, 1, 30_000), (257, 4, 1, 30_000), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 10)]
    small = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 16)]
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26))) * 3
    gif = b"GIF89a" + struct.pack("<HH", 4, 4) + b"\x80\0\0" + bytes(6)
    frame = b"," + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\2\2\x4c\x01\0;"
    bmp = bytearray(picture("BMP"))
    bmp[18:26] = struct.pack("<ii", 2**31 - 1, -2**31)
    jpeg = picture("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 6 + 40) + b"Exif\0\0" + b"II*\0\x08\0\0\0" + b"\xff" * 32
    nested = b"Exif\0\0" + tiff([(0x8769, 4, 1, 8), (0x0112, 3, 1, 77)], following=8)
    return [b"", b"\x89PNG\r\n\x1a\n", png(100_000, 100_000), png(8000, 8001), png(2**31 - 1, 1), png(0, 0), png(7000, 7000),
            png(4, 4, depth=16, colour=3), png(4, 4, colour=3), png(4, 4, more=text, data=bytes(20)), png(4, 4, data=bytes(1 << 24)),
            png(4, 4, more=chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + b"\1" * 90), data=bytes(20)),
            png(4, 4, more=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 24))), data=bytes(20)),
            png(4, 4, more=chunk(b"acTL", struct.pack(">II", 2**31, 2**31 - 1)), data=bytes(20)),
            gif + b";", gif, gif + frame, gif + b"!\xfe" + b"\xff" + b"x" * 255, gif + b"!\xf9\4\xff\xff\xff\xff\0" * 50 + b";",
            gif[:6] + b"\xff" * 4 + gif[10:] + b"," + bytes(4) + b"\xff" * 4 + b"\0\2\2\x4c\x01\0;", b"GIF87a" + bytes(7) + b";",
            tiff(sizes), tiff(small, following=8), tiff(small, first=0), tiff(small, first=2**32 - 1), tiff([]), tiff(small * 200),
            tiff([*small[:2], (258, 3, 2**31, 8)]), tiff([*small, (700, 7, 2**32 - 1, 8)]), tiff([*small, (339, 3, 1, 3), (258, 3, 1, 0)]),
            tiff([*small[:4], (322, 4, 1, 2**30), (323, 4, 1, 2**30), (324, 4, 1, 8), (325, 4, 1, 16), (259, 3, 1, 5)]),
            tiff([*small[:3], (259, 3, 1, 34712), *small[3:]]), b"II+\0\x08\0\0\0" + b"\xff" * 20, bytes(bmp), jpeg[:2] + segment + jpeg[2:],
            jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(nested)) + nested + jpeg[2:], jpeg[:2] + b"\xff\xe2\xff\xffMPF\0" + jpeg[2:],
            jpeg[:-2] * 20, b"\xff\xd8\xff" * 1000, b"\xff\xd8" + b"\xff" * 100_000, b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 40,
            b"P5 99999 99999 255\n", b"P6 " + b"1" * 9000 + b" 1 255\n", b"P2 2 2 255 " + b"9" * 100_000, b"P5\n#" + b"x" * 100_000,
            b"P5 0 0 255\n", b"P5 -1 -1 255\n", b"P6 2 2 0\n" + bytes(12), b"P6 2 2 70000\n" + bytes(24), b"Pf 2 2 0\n" + bytes(16),
            b"P7\nWIDTH 9\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"%PDF-1.4\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]


# ---- text ----

def tables() -> list[bytes]:
    return [b"file,label\na.png,cat\nsub/b.png,dog\n", b"a.png;1\nsub/b.png;2\n", b"\xef\xbb\xbfid\tclass\r\na\t0\r\nb\t10\r\n",
            b'"a.png","x ""y"" z"\n"sub/b.png","p,q"\n', b"label,file\n1,a.png\n,sub/b.png\n"]


def nasty_tables() -> list[bytes]:
    return [b"", b"\n\n\n", b",,,\n", b'"', b'a,"', b'a.png,"x\n' + b"y" * 1000, b"a\0.png,1\n", b"\0" * (1 << 20), b"x" * (1 << 24),
            b"a.png," + b"x" * (1 << 20), b'a.png,"' + b"x\n" * (1 << 20), b"," * (1 << 20), b'"\n",' * (1 << 19), b"\xff\xfea\0,\0b\0",
            b"a.png,1\r\rb,2", b"file\n", b"label\n", b"file,file,label,label\na,b,c,d\n", b"a.png,--5\nb,3\n", b"a.png,-\nb,+3\n",
            "a.png,\u0661\nb,\u00b2\n".encode(), b"a.png," + b"9" * 5000 + b"\n", b"a.png,1\na.png,2\n", b" ,1\n", b"../../etc/passwd,1\n",
            b"/etc/passwd,1\n/dev/zero,2\n", b".,1\n", "a\x1b[2J.png,1\na\x1b[2J.png,2\n".encode(), b'"a"x,1\n', "\u2028,1\n".encode()]


def toml_files(whole: str) -> list[bytes]:
    return [whole.encode(), b"epochs = 3\nhidden = [5, 4]\n", b'arch = "conv"\nchannels = [4]\nlearning_rate = 1e-3\n']


def nasty_toml() -> list[bytes]:
    large = "0x" + "f" * 6000
    return [b"", b"\xff\xfe", b"\0", b"[" * 5000, b"a = " + b"[" * 5000, b"hidden = " + b"[" * 100 + b"]" * 100, b"a." * 2000 + b"b = 1",
            b"epochs = " + b"9" * 5000, f"epochs = {large}".encode(), f"learning_rate = {large}".encode(), f"seed = [{large}]".encode(),
            f"hidden = [{large}]".encode(), b"learning_rate = " + b"9" * 400, b"learning_rate = nan", b"learning_rate = -inf",
            b"hidden = [true, false]", b"hidden = [1.5]", b'hidden = ["a"]', b"hidden = 7", b"hidden = [-3]", b"hidden = []", b"epochs = true",
            b"binarize = 1", b"epochs = 1e3", b"data = 1979-05-27", b"[data]\nx = 1", b"[[hidden]]\nx = 1", b'arch = "x"', b"arch = 3",
            b"epochs = 1\nepochs = 2", b'"\\u0000" = 1', b'data = "\\u0000"', b'labels_from = "\\u0000"', b'data = "\\uD800"',
            b'"\\u001b[2J" = 1', b'data = "' + b"x" * (1 << 17) + b'"', b'"' + b"k" * (1 << 17) + b'" = 1', b'epochs = "' + b"x" * (1 << 17) + b'"',
            b"\n" * (1 << 18), b"# " + b"x" * (1 << 18), b"test_share = 2", b"test_share = nan", b"size = [0]", b"size = [1, 2, 3]",
            b'size = [99999, 1]', b'fit = "x"', b'colour = "x"', b"split_seed = -1", b"skip_share = 1e9", b"a = {b = {c = {d = 1}}}",
            b"".join(b"x%d = 1\n" % i for i in range(5000))]


def metrics_files() -> list[bytes]:
    first = b"epoch,step,train_cost,test_cost,test_reconstruction,test_kl,images_per_second,seconds\r\n"
    plain = first + b"1,40,52.1,50.2,40.1,10.1,3000,1.2\r\n2,80,42.1,,,,3000.5,2.4\r\n"
    return [plain, first.replace(b"\r", b",test_error\r") + b"1,40,52.1,50.2,40.1,10.1,3000,1.2,0.25\r\n3,90,1e300,nan,inf,-inf,1,1,\r\n"]


def nasty_metrics() -> list[bytes]:
    return [b"", b"\0" * 1000, b"\xff" * 1000, b"," * 100_000, b"1,2,3,4,5,6,7,8", b"1e308,1e308,1,1,1,1,1,1\n", b"-1,-1,1,1,1,1,1,1\n",
            b"nan,1,1,1,1,1,1,1\n", b"inf,1,1,1,1,1,1,1\n", b"1_0,2,3,4,5,6,7,8\n", b" 1 ,2,3,4,5,6,7,8\n", b"1.5,2.5,3,4,5,6,7,8\n",
            b"1,2,nan,nan,nan,nan,nan,nan\n", b"1,2,inf,-inf,inf,1e999,inf,inf\n", b"1,2,,,,,,\n", "\u0661,\u0662,3,4,5,6,7,8\n".encode(),
            b"1,2,3,4,5,6,7,8\n" * 2000, b"9" * 100_000 + b",2,3,4,5,6,7,8\n", b"1,2,3,4,5,6,7,8,9\n1,2,3,4,5,6,7,8\n", b"1\r2\r3\r",
            b"1,1e400,3,4,5,6,7,8\n", b"0,0,0,0,0,0,0,0\n"]


# ---- JSON ----

ODD = (None, True, False, 0, -1, 1, 2.5, 10**400, -10**400, 1e308, float("nan"), float("inf"), 2**31, 2**63, 2**64, "", "x", "1", "\x1b[2J", "\0",
       "\ud800", "x" * 5000, [], {}, [[]], [1, 2, 3], [0, 0, 0], [-1, 5, 1], [2**31] * 3, [10**400] * 3, [1.0, 2.0, 3.0], [True] * 3, ["a"] * 3,
       [None], {"total": 1}, {"cost": 1, "epoch": None}, {"": {}}, [[[[[[]]]]]])


def deep(depth: int = 100_000) -> str:
    """JSON or TOML that nests."""
    return "[" * depth + "]" * depth


def safetensors(head, data: bytes = b"", size: int | None = None) -> bytes:
    """A file with that header, whose length may be a lie."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def nasty_safetensors(metadata: dict) -> list[bytes]:
    meta, one = {"__metadata__": metadata}, {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    kinds = ("BOOL", "F4", "F6_E2M3", "F8_E5M2", "F8_E4M3", "F8_E8M0", "BF16", "F16", "F64", "C64", "I64", "U64", "X1", "", "f32")
    widths = {"BOOL": 1, "F64": 8, "I64": 8, "U64": 8, "C64": 8, "BF16": 2, "F16": 2}
    found = [safetensors({**meta, "a": {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * widths.get(kind, 1)]}},
                         bytes(2 * widths.get(kind, 1))) for kind in kinds]
    return [*found, b"", bytes(8), safetensors(b"", size=2**63), safetensors(b"{}", size=2**64 - 1), safetensors(b"{}", size=2**32),
            safetensors(b"{}"), safetensors(meta), safetensors({**meta, "a": one}, bytes(8)), safetensors({**meta, "a": one}, bytes(7)),
            safetensors({**meta, "a": one}, bytes(9)), safetensors({**meta, "a": one, "b": one}, bytes(8)),
            safetensors({**meta, "a": one, "b": {**one, "data_offsets": [4, 12]}}, bytes(12)),
            safetensors({**meta, "a": {**one, "data_offsets": [8, 0]}}, bytes(8)), safetensors({**meta, "a": {**one, "shape": [2**62, 4]}}, bytes(8)),
            safetensors({**meta, "a": {**one, "shape": [2**64, 1]}}, bytes(8)), safetensors({**meta, "a": {**one, "shape": [-2]}}, bytes(8)),
            safetensors({**meta, "a": {**one, "shape": [0], "data_offsets": [0, 0]}}), safetensors({**meta, "a": {**one, "shape": [1] * 70, "data_offsets": [0, 4]}}, bytes(4)),
            safetensors({**meta, "a": 5}), safetensors({"__metadata__": 5}), safetensors({"__metadata__": {"format": 5}}),
            safetensors({"__metadata__": {**metadata, "facts": deep()}}), safetensors({"__metadata__": {"format": metadata["format"]}}),
            safetensors({"__metadata__": {**metadata, "sha256": ""}}), safetensors(deep().encode()), safetensors(b"[1]"), safetensors(b"{" * 1000),
            safetensors(b'{"a":' * 500 + b"1" + b"}" * 500), safetensors(json.dumps({**meta, "": one}).encode(), bytes(8)), safetensors(b"\xff" * 100)]
