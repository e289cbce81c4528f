"""python -m minivae"""

import sys

try:
    from minivae.cli import main
except KeyboardInterrupt:       # while the modules are still being read
    sys.exit(130)

if __name__ == "__main__":
    main()
