"""What the person at the terminal sees: how a training goes, and the tables that commands print, a module each."""
