"""The page of a run: one self-contained HTML file, written while the model is trained and whenever it is asked for.

facts.py     what is known of the run         coding.py  images through the model once
history.py   its epochs                       looks.py   what else is drawn from the model
scale.py charts.py codes.py tiles.py          numbers, codes and images as SVG and PNG
content.py   all of it as the template shows it
writing.py page.html.jinja page.css           the file
of_run.py    of a run that is over            following.py  of a training that goes on
"""
