-- A 370-byte chat request for wrk, and its result as one JSON line.
local question = "Compare three ways to keep two replicas of a small table in step, name the failure each one survives, "
  .. "and say which you would choose for ten writes a second. Answer in one paragraph without headings."
local body = '{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are terse and exact."},'
  .. '{"role":"user","content":"' .. question .. '"}],"temperature":0.7,"max_tokens":256'

wrk.method = "POST"
wrk.body = body .. string.rep(" ", 370 - #body - 1) .. "}"
wrk.headers["content-type"] = "application/json"
local key = os.getenv("BENCH_KEY")
if key then wrk.headers["authorization"] = "Bearer " .. key end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
