"""Gate: what every request passes before Airy looks at it, HTTP and websocket alike.

It works out the client's address once, counts requests per address in this process, bounds bodies in size and time, and
bounds how much one address may have open. It needs no database and no Redis. Runs on the event loop of the web server.
"""
