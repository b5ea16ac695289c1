-- What stopped or has gaps is degraded; what was never connected waits for a person. A few rules are blind by intent under every audit policy: said, no fault.
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

if is("Accepted", "False") then return {status = "Degraded", message = why("Accepted")} end
if is("Receiving", "False") and found.Receiving.reason ~= "NeverSeen" then return {status = "Degraded", message = why("Receiving")} end
if is("Complete", "False") then return {status = "Degraded", message = why("Complete")} end
if not is("Receiving", "True") then return {status = "Progressing", message = why("Receiving")} end
if is("Covered", "False") then return {status = "Healthy", message = why("Covered")} end
return {status = "Healthy", message = why("Receiving")}
