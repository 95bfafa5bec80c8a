"""``python -m multiretriever``: the command line without its script."""

from multiretriever.cli.app import main

if __name__ == "__main__":
    main()
