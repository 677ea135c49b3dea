-- The compare-and-set. KEYS: session. ARGV: expected generation and nonce hash, client, new head, idle deadline, expected
-- and new binding.
-- Answers the session as it is then, or nothing where anything did not match.
local value = redis.call('GET', KEYS[1])
local expected = ARGV[2] .. ARGV[5]
if not value or value:sub(1, 40) ~= ARGV[1] or value:sub(113, 112 + #expected) ~= expected then
    return false
end
local at = 113 + #expected
local idle = value:sub(at, at) == '[' and '' or value:match('^|(%d*)|[^%[]*%[', at)
if not idle then
    return false
end
local now = struct.unpack('>I8', ARGV[3], 73)
local expires_at, ends_at, _, revoked_at = times(value)
if revoked_at ~= 0 or expires_at <= now then
    return false
end
local deadline = math.min(idle == '' and tonumber(ARGV[4]) or now + tonumber(idle), ends_at)
local moved = ARGV[3] .. struct.pack('>I8', deadline) .. value:sub(89, 112 + #ARGV[2]) .. ARGV[6]
    .. value:sub(at)
keep(KEYS[1], moved, now, deadline)
return moved
