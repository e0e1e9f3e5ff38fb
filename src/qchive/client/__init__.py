"""The client: what people use to talk to an archive, ours or any other that speaks the QCArchive protocol."""
