-- The load: announces as clients make them. Each peer is one client in one torrent, and all peers announce equally
-- often, so that a torrent is announced as often as it has peers.
--
-- From the environment: HASHES and KEYS name files with a percent-encoded hash, a passkey a line; BUSIEST is how
-- many peers the first torrent has, the one of rank r has BUSIEST / r^0.8 and at least one; SEED; MOVED, at how many
-- of a hundred announces a seeder has moved bytes since its last; STATE names the file in which the peers' counters go
-- from one run to the next. With FILL, a number, the peers from that one on announce in turn for the first time, as
-- after the start of a tracker. With LOOK, every answer is looked into.

local hashes, keys = {}, {}
-- The torrent of each peer, and how often it has moved bytes (global like the next ones).
local torrent_of = {}
moved = {}
local fill = tonumber(os.getenv("FILL"))
-- Co-prime to any number of peers below it: peers come in an order that knows nothing of torrents.
local stride = 15485863
local share_moved = tonumber(os.getenv("MOVED"))
local threads = {}
-- Global, because `done` reads them of each thread.
failures, first_failure = 0, nil

local function lines(file)
    local list = {}
    for line in io.lines(file) do list[#list + 1] = line end
    return list
end

function setup(thread)
    threads[#threads + 1] = thread
end

function init()
    hashes, keys = lines(os.getenv("HASHES")), lines(os.getenv("KEYS"))
    math.randomseed(tonumber(os.getenv("SEED")))
    local busiest = tonumber(os.getenv("BUSIEST"))
    for rank = 1, #hashes do
        for _ = 1, math.max(1, math.floor(busiest / rank ^ 0.8)) do
            torrent_of[#torrent_of + 1] = rank
        end
    end
    local state = io.open(os.getenv("STATE"))
    if state then
        for peer, times in state:read("*a"):gmatch("(%d+) (%d+)") do moved[tonumber(peer)] = tonumber(times) end
        state:close()
    end
end

function request()
    local peer
    if fill then
        peer = (fill * stride) % #torrent_of + 1
        fill = fill + 1
    else
        peer = math.random(#torrent_of)
    end
    -- Nine of ten peers seed. The others moved bytes at every announce.
    local seeds = peer % 10 ~= 0
    local times = moved[peer] or 0
    if not fill and (not seeds or math.random(100) <= share_moved) then
        times = times + 1
        moved[peer] = times
    end
    local bytes = times * 1048576
    return string.format(
        "GET /announce/%s?info_hash=%s&peer_id=-LT20B0-%012d&port=%d&uploaded=%d&downloaded=%d&left=%d&key=%08X&numwant=50&compact=1%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        keys[peer % #keys + 1], hashes[torrent_of[peer]], peer, 10000 + peer % 50000, bytes, seeds and 0 or bytes,
        seeds and 0 or 1048576, peer, fill and "&event=started" or "")
end

-- Looking into an answer costs wrk more than all else it does for one.
if os.getenv("LOOK") then
    function response(status, _, body)
        if status ~= 200 or body:sub(1, 11) ~= "d8:complete" then
            failures = failures + 1
            first_failure = first_failure or (status .. " " .. body:sub(1, 120))
        end
    end
end

-- One line for the script: announces, seconds, p50 and p99 in ms, failures, and the first of them.
function done(summary, latency, _)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
    local why = failed > 0 and "connection errors" or "-"
    local state = io.open(os.getenv("STATE"), "w")
    for _, thread in ipairs(threads) do
        for peer, times in pairs(thread:get("moved")) do state:write(peer, " ", times, "\n") end
        failed = failed + thread:get("failures")
        why = thread:get("first_failure") or why
    end
    state:close()
    io.write(string.format("RESULT %d %.3f %.2f %.2f %d %s\n", summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed, why))
end
