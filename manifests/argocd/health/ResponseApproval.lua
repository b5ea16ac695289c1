-- An approval that does not count is degraded, and says why.
local found, status = {}, obj.status or {}
for _, one in ipairs(status.conditions or {}) do
  if (one.observedGeneration or 0) >= (obj.metadata.generation or 0) then found[one.type] = one end
end
local function is(name, value) return found[name] ~= nil and found[name].status == value end
local function why(name)
  local one = found[name] or {reason = "NotYetSeen"}
  if one.message == nil or one.message == "" then return name .. ": " .. one.reason end
  return name .. ": " .. one.reason .. ": " .. one.message
end

if is("Counted", "True") then return {status = "Healthy", message = why("Counted")} end
if is("Counted", "False") then return {status = "Degraded", message = why("Counted")} end
return {status = "Progressing", message = "the operator has not looked at it yet"}
