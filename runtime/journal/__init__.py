"""The journal: what runs have done, kept so that a killed run goes on where it was. Bytes in, bytes out."""
