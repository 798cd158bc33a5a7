"""The live viewer: a page that shows feeds with their masks, entities, queries and timeline, as the log is written.

`feeds` follows the log, `index` is what is known of one feed, `chunks` finds a chunk by its seq, `frames` turns it into
JPEGs, `gate` says who may come in, `server` is the app, `serve` runs it. `static/` is the page: plain ES modules.
"""
