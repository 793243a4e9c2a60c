"""`python -m flowc.grammar` writes the LALR tables anew after a change of `flow.lark`."""

from flowc.grammar.generate import write

write()
