-- KEYS: audit trails. ARGV: subject, now. Answers the subject's entries that are still kept.
local found = {}
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. ARGV[2], '+inf', 'BYSCORE')) do
    if cjson.decode(entry)[1] == ARGV[1] then
        table.insert(found, entry)
    end
end
return found
