"""What becomes of deleted accounts and galleries: counted when it is asked for, reported until it is done."""
