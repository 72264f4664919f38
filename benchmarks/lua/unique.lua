-- Replays a list as replay.lua does, and adds a field with a counter, so that no head is like another, nor like one
-- of an earlier run.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "replay.lua")

local read, number, index = init, 0, 0

function init(args)
    read(args)
    for key, message in ipairs(requests) do
        requests[key] = message:sub(1, -3) .. "X-Request-Id: " .. os.time() .. "-"
    end
    prepared()
end

function request()
    number = number + 1
    index = index % #requests + 1
    return requests[index] .. number .. "\r\n\r\n"
end
