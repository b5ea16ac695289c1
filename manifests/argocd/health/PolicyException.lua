-- Refused, of the past, or of no policy: degraded. Nodes that do not hold it yet are on their way.
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
if not is("Accepted", "True") then return {status = "Progressing", message = "the operator has not judged it yet"} end
if is("InForce", "True") or (is("InForce", "False") and found.InForce.reason == "Disabled") then return {status = "Healthy", message = why("InForce")} end
local failing = (status.nodes or {}).failing or {}
if failing[1] ~= nil then return {status = "Progressing", message = why("InForce") .. ", for one because " .. failing[1].reason} end
return {status = "Progressing", message = why("InForce")}
