-- KEYS: records of a kind. ARGV: name, body. Answers whether there was one to replace.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
