"""The pages behind `flowc explain`: one a code, each also its own test."""
