"""Live traffic: what the proxies of a selection see, as one stream of JSON objects.

`request` is what may be watched, `events` what is told of it, `refusals` why a watch may not begin. Whoever
watches, by whichever door, asks a `Tap` (`tap`).
"""
