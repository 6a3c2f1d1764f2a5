"""Plans compiled for speed: the same bits as the interpreter, from planned buffers and generated source."""
