-- Prints what wrk measured as one line of JSON. Times are in microseconds.
-- No request or response function: the requests stay static, so that the script costs nothing while wrk runs.
local form = 'report: {"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "errors": ' ..
    '{"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n'

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(form, summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
