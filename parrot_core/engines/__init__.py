"""Everything that can complete a chat: the protocol, the clients, the servers, the journal."""
