#!/usr/bin/env python3
"""vllm_client.py FILE URL STREAMS MODEL...: texts of 32 tokens by the client of `vllm bench serve`, STREAMS at a time.

FILE is vllm/benchmarks/lib/endpoint_request_func.py out of vLLM's wheel, which needs aiohttp, regex and tqdm and nothing of
vLLM itself. Prints what that client measured, over completions and chats in turn and the models in turn."""
import asyncio
import importlib.util
import statistics
import sys
import time

file, url, streams, models = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
spec = importlib.util.spec_from_file_location("endpoint_request_func", file)
vllm = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = vllm
spec.loader.exec_module(vllm)
KINDS = [("openai", "/v1/completions"), ("openai-chat", "/v1/chat/completions")]


async def main():
    import aiohttp
    gate = asyncio.Semaphore(streams)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:

        async def one(i):
            kind, path = KINDS[i % 2]
            async with gate:
                return await vllm.ASYNC_REQUEST_FUNCS[kind](vllm.RequestFuncInput(
                    prompt="Write what you know about the number %d." % i, api_url=url + path, prompt_len=10, output_len=32,
                    model=models[i // 2 % len(models)], ignore_eos=True, extra_body={"temperature": 0}), session=session)
        begin = time.monotonic()
        out = await asyncio.gather(*[one(i) for i in range(8 * streams)])
        seconds = time.monotonic() - begin
    failed = [o.error for o in out if not o.success]
    if failed:
        sys.exit("%d of %d failed: %s" % (len(failed), len(out), failed[0]))
    gaps = [g for o in out for g in o.itl]
    assert len(gaps) == sum(o.output_tokens - 1 for o in out)  # an event for each token
    print("vLLM's client, %d at a time: %.1f tokens/s; first token %.0f ms, each further one %.1f ms (medians)" % (
        streams, sum(o.output_tokens for o in out) / seconds, 1e3 * statistics.median(o.ttft for o in out), 1e3 * statistics.median(gaps)))

asyncio.run(main())
