-- Sends what is in the files of the words after the URL, one after another, and then the last two in turn: each is a
-- request, or several at once. Every thread begins anew; the first one has sent the first file by then, to nobody.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")

local messages, index = {}, 0

function init(args)
    for _, name in ipairs(args) do
        local file = assert(io.open(name, "rb"))
        messages[#messages + 1] = file:read("*a")
        file:close()
    end
end

function request()
    index = index < #messages and index + 1 or #messages - 1
    return messages[index]
end
