-- Replays a list of requests once (replay.lua says how), and ends wrk when the last of them has been sent: by the signal
-- that Ctrl-C sends, after which it reports as always. Its duration is a bound only.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "replay.lua")

local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int pid, int number);")

local SIGINT = 2
local sent, replayed = 0, request

function request()
    sent = sent + 1
    if sent == #requests then
        ffi.C.kill(ffi.C.getpid(), SIGINT)
    end
    return replayed()
end
