"""`python -m imagetasks_client.cli` is the command line, too."""

from imagetasks_client.cli.program import main

if __name__ == "__main__":
    main()
