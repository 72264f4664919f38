-- Replays a list of requests in a loop, whichever connection is free next. The word after the URL is the file that
-- holds them, one after another; each ends with an empty line. They are read once: a request costs one look-up.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")

local index = 0
requests = {}

-- Says how much CPU time has gone before the load begins, in seconds.
function prepared()
    io.write(string.format("prepared: %f\n", os.clock()))
end

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for message in file:read("*a"):gmatch("(.-\r\n\r\n)") do
        requests[#requests + 1] = message
    end
    file:close()
    prepared()
end

function request()
    index = index % #requests + 1
    return requests[index]
end
