"""The plan search of -O3: pipelines tried on stand-ins, in virtual time, for an objective under bounds."""
