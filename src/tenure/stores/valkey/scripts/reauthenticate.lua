-- A later authentication. KEYS: session. ARGV: now, the authentication. Answers the session as it is then, or nothing where
-- there was no live one.
local value = redis.call('GET', KEYS[1])
if not value then
    return false
end
local expires_at, _, _, revoked_at = times(value)
if revoked_at ~= 0 or expires_at <= tonumber(ARGV[1]) then
    return false
end
local binding, idle, _, rest = front(value)
local size = struct.unpack('>H', value, 113)
local changed = value:sub(1, 114 + size) .. binding .. '|' .. idle .. '|' .. ARGV[2] .. value:sub(rest)
redis.call('SET', KEYS[1], changed, 'KEEPTTL')
return changed
