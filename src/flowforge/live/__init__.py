"""What is pushed as it happens: WebSocket, server-sent events, signed webhooks to subscribers, notifications."""
