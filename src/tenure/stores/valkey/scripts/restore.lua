-- A live session as it is in another store. KEYS: session, index of the subject. ARGV: value, id. Answers whether it was
-- written: one that was revoked here, or refreshed further, stays.
local here = redis.call('GET', KEYS[1])
if here then
    local _, _, _, revoked_at = times(here)
    if revoked_at ~= 0 or struct.unpack('>I8', here) > struct.unpack('>I8', ARGV[1]) then
        return 0
    end
end
local expires_at, ends_at, created_at = times(ARGV[1])
local kept = math.max(redis.call('PTTL', KEYS[2]), math.ceil((ends_at - created_at) / 1000) + DAY)
keep(KEYS[1], ARGV[1], struct.unpack('>I8', ARGV[1], 73), expires_at)
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], kept)
remember_latest(KEYS[1], ARGV[2], created_at)
return 1
