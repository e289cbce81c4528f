"""The page of a run: one self-contained HTML file, kept while the model is trained and written whenever it is asked for.

facts.py    what is known of the run            coding.py     images through the model once
history.py  its epochs                          looks.py      what else is drawn from the model
scale.py    numbers as places                   tiles.py      images as PNG
charts.py   lines, bars, points as SVG          galleries.py  the pictures in their groups
codes.py    codes in two dimensions             content.py    all of it, as the template shows it
writing.py  page.html.jinja  page.css           the file
of_run.py   of a run that is over               following.py  of a training that goes on
"""
