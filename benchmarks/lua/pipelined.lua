-- Sends requests in batches: the word after the URL is how many are sent before the first answer is waited for.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")

local batch

function init(args)
    batch = wrk.format():rep(tonumber(args[1]))
end

function request()
    return batch
end
