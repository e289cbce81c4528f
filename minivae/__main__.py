from minivae.cli import main

main()
