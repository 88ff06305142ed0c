"""What the integration tests share: real daemons, a scripted provider, strict HTTP and SSE clients."""
