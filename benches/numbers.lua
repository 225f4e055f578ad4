-- Two loads. With FILL, a number: each request announces one torrent for the first time, from the hash of that number
-- on, in the order of the file HASHES; SEEDING says of which peer. Without: a reader of listings and torrent pages,
-- PAUSE milliseconds after the last answer; IDS names a file with an id a line.

local fill = tonumber(os.getenv("FILL"))
local things = {}
failures = 0
local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
end

function init()
    for line in io.lines(os.getenv(fill and "HASHES" or "IDS")) do things[#things + 1] = line end
    math.randomseed(7)
end

function request()
    if fill then
        local hash = things[fill % #things + 1]
        fill = fill + 1
        return wrk.format("GET", "/announce?info_hash=" .. hash .. "&peer_id=-XX0001-" .. os.getenv("SEEDING")
            .. "&port=6881&uploaded=0&downloaded=0&left=0&compact=1&event=started")
    end
    if math.random(3) == 1 then
        return wrk.format("GET", "/torrents")
    end
    return wrk.format("GET", "/torrents/" .. things[math.random(#things)])
end

function delay()
    return fill and 0 or tonumber(os.getenv("PAUSE"))
end

function response(status, _, body)
    if status ~= 200 or (fill and body:find("failure reason", 1, true)) then
        failures = failures + 1
    end
end

function done(summary, latency)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    for _, thread in ipairs(threads) do failed = failed + thread:get("failures") end
    print(string.format("RESULT %d %.2f %.2f %d", summary.requests, latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, failed))
end
