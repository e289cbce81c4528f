"""What NVIDIA's compiler makes of the kernels, for any GPU, on a machine without one: NVRTC itself, the parameters in its
machine code (cubin), its PTX, how many threads of a kernel a multiprocessor holds, and all of it together. For `minivae
kernels` and the tests."""
