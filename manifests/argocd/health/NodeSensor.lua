-- Silent, blind or losing is degraded; never heard, or behind with policies, is on its way.
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

for _, name in ipairs({"Connected", "Seeing"}) do
  if is(name, "False") then return {status = "Degraded", message = why(name)} end
end
if is("InForce", "False") and found.InForce.reason == "Refused" then return {status = "Degraded", message = why("InForce")} end
for _, name in ipairs({"Connected", "Seeing", "InForce"}) do
  if not is(name, "True") then return {status = "Progressing", message = why(name)} end
end
return {status = "Healthy", message = why("Connected")}
