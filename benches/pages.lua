-- The same request again and again; `{n}` in its path is another number up to TORRENTS each time. One line for the
-- script: requests a second, p50 and p99 in ms, failures.
local most = tonumber(os.getenv("TORRENTS") or "1")

function init(_)
    math.randomseed(7)
    local path = wrk.path
    if path:find("%7Bn%7D", 1, true) or path:find("{n}", 1, true) then
        local before, after = path:match("^(.-)%%7Bn%%7D(.*)$")
        if not before then before, after = path:match("^(.-){n}(.*)$") end
        request = function()
            return wrk.format(nil, before .. math.random(most) .. after)
        end
    end
end

function done(summary, latency, _)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
    io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / (summary.duration / 1e6),
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
