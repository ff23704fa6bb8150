"""What an answer says, and whether it is correct."""
