"""RabbitMQ's protocol, on pika: connections, channels, acknowledgements, and the queues at the server. Only
`brokers/rabbitmq.py` uses this folder."""
