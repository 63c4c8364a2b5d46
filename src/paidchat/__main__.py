"""python -m paidchat."""

from paidchat.cli.main import main

main()
