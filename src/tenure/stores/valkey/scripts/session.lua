-- How a session lies in its value: numbers of 8 bytes (big endian; times in microseconds since 1970, UTC), then text.
--   1 generation | 9 nonce hash (32) | 41 attempt hash (32, zero for none) | 73 rotated at | 81 expires at
--   89 ends at | 97 created at | 105 revoked at (0: it is not) | 113 the client's id, after its length in 2 bytes
--   then its binding, if it is bound to a key | its idle lifetime (microseconds) | its authentication (base64url), the two
--   of which sessions of before don't have; then the rest as a JSON list, and in a second line, once it is revoked, the
--   reason and by whom
-- The server forgets a session a day after its end. That is counted from the caller's clock, not from the server's.
local DAY = 86400000

local function times(value)
    local expires_at, ends_at, created_at, revoked_at = struct.unpack('>I8I8I8I8', value, 81)
    return expires_at, ends_at, created_at, revoked_at
end

-- Its binding, idle lifetime and authentication, and where the JSON list begins.
local function front(value)
    local size = struct.unpack('>H', value, 113)
    local text = value:match('^[^%[]*', 115 + size)
    local binding, idle, authentication = text:match('^([^|]*)|?(%d*)|?(.*)$')
    return binding, idle, authentication, 115 + size + #text
end

local function keep(key, value, now, expires_at)
    redis.call('SET', key, value, 'PX', math.max(0, math.ceil((expires_at - now) / 1000)) + DAY)
end

-- The audit trails of a bucket of subjects lie together, each entry under the moment until which it is kept (0: none
-- is wanted). So the key is known from a session's id alone.
local function note(trail, id, value, now, address, kept_until, said)
    if tonumber(kept_until) == 0 then
        return
    end
    local counts = trail:match('^(.-):audit:') .. ':counts:' .. string.format('%.0f', math.floor(now / 3600000000))
    redis.call('HINCRBY', counts, said == '' and 'logged_in' or 'revoked:' .. (cjson.decode(said)[1] or ''), 1)
    redis.call('PEXPIRE', counts, 3 * DAY)
    local size = struct.unpack('>H', value, 113)
    local rest = cjson.decode(value:sub(115 + size):match('%[[^\n]*'))
    local bound = ({['dpop:'] = 'key', ['dbsc:'] = 'device'})[value:sub(115 + size, 119 + size)] or ''
    local entry = {rest[1], string.format('%.0f', now), id, value:sub(115, 114 + size), rest[4], address, said, bound}
    redis.call('ZREMRANGEBYSCORE', trail, '-inf', string.format('%.0f', now))
    redis.call('ZADD', trail, kept_until, cjson.encode(entry))
    local kept = math.max(redis.call('PTTL', trail), math.ceil((tonumber(kept_until) - now) / 1000))
    redis.call('PEXPIRE', trail, kept)
end

-- The latest logins of a tag, for an overview: as many as are looked at there, so that it never grows.
local function remember_latest(key, id, created_at)
    local latest = key:match('^(.-):session:') .. ':latest'
    redis.call('ZADD', latest, string.format('%.0f', created_at), id)
    redis.call('ZREMRANGEBYRANK', latest, 0, -1001)
end

-- The position in the feed is the server's own time: a replica that takes over never gives one a second time.
local function revoke(key, feed, trail, id, value, now, said, address, kept_until)
    local ended = value:sub(1, 104) .. struct.pack('>I8', now) .. value:sub(113) .. '\n' .. said
    local time = redis.call('TIME')
    local entry = id .. ' ' .. string.format('%.0f', now)
    keep(key, ended, now, now)
    if feed ~= '' then
        redis.call('ZADD', feed, time[1] .. string.format('%06d', time[2]), entry)
        redis.call('PUBLISH', 'tenure:revoked', entry)
    end
    note(trail, id, value, now, address, kept_until, said)
    return ended
end

-- The live sessions of a subject, the oldest first, and the ids of those that can't come back. (One that has expired
-- still can: clocks differ, and by another instance's it may be alive and be refreshed.)
local function of_subject(index, prefix, now)
    local live, over = {}, {}
    for _, id in ipairs(redis.call('SMEMBERS', index)) do
        local value = redis.call('GET', prefix .. id)
        local expires_at, _, created_at, revoked_at = 0, 0, 0, 1
        if value then
            expires_at, _, created_at, revoked_at = times(value)
        end
        if revoked_at ~= 0 then
            table.insert(over, id)
        elseif expires_at > now then
            table.insert(live, {id = id, value = value, created_at = created_at})
        end
    end
    table.sort(live, function(one, other)
        if one.created_at ~= other.created_at then
            return one.created_at < other.created_at
        end
        return one.id < other.id
    end)
    return live, over
end

