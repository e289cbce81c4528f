"""A page on this machine on which a trained model is played with: `minivae serve`.

    served.py       the model: what the page asks of it, all in one thread
    fields.py       what requests may hold
    guard.py        which hosts and origins are answered
    app.py          the paths, and what they answer
    listen.py       the port, until somebody ends it
    page/           what the browser loads

The server keeps no state: the browser holds the code that is looked at, and sends it with every request.
"""
