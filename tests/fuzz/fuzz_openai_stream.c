/*
 * fuzz_openai_stream.c - the body of an answer in this dialect; see stream_target.h.
 */
#include "tests/fuzz/stream_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	stream_target(DIALECT_OPENAI, data, size);
	return 0;
}
