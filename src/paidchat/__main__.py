"""python -m paidchat."""

from paidchat.cli import main

main()
