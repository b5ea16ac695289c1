"""The acts that public rule sets are tried with, performed by our own code on this host, and whether the shipped library sees them."""
