"""A second, plain evaluator of checked trees over the record as a dictionary: what the generated code is compared with.

It shares nothing with the compiler but the tree. Values are Python's; ABSENT and FAILED stand for themselves.
"""

from watchkeeper_detection.cel.tree import And, Bind, Choice, Constant, Default, Field, ListName, ListOf, Local, Loop, Not, Or, Present, Select

ABSENT, FAILED = "<absent>", "<failed>"
_MISSING = (ABSENT, FAILED)


def evaluate(node, record, lists, variables=None):
    variables = variables or {}
    again = lambda part, more=None: evaluate(part, record, lists, {**variables, **(more or {})})  # noqa: E731
    match node:
        case Constant():
            return node.value
        case Field():
            return _read(record, [*node.path.split(".")[1:], *node.words])
        case Local():
            return variables[node.name]
        case ListName():
            return sorted(lists[node.name])
        case Select():
            return _step(again(node.operand), node.name)
        case Present():
            found = again(node.operand)
            return found is not ABSENT
        case Default():
            found = again(node.operand)
            default = again(node.default)
            if found is ABSENT:
                return default
            return found if found is FAILED or type(found) is type(default) else FAILED
        case And() | Or():
            return _logic([again(operand) for operand in node.operands], stop=isinstance(node, Or))
        case Not():
            found = again(node.operand)
            return not found if isinstance(found, bool) else _trouble([found])
        case Choice():
            found = again(node.condition)
            if not isinstance(found, bool):
                return _trouble([found])
            return again(node.then if found else node.otherwise)
        case ListOf():
            found = [again(element) for element in node.elements]
            return next((each for each in found if each is ABSENT or each is FAILED), found)
        case Bind():
            return again(node.body, {node.name: again(node.value)})
        case Loop():
            over = again(node.over)
            if over is ABSENT or over is FAILED:
                return over
            if not isinstance(over, list | dict):
                return FAILED
            return _logic([again(node.predicate, {node.names[0]: ABSENT if each is None else each}) for each in over], stop=node.macro == "exists")
    return _call(node, [again(argument) for argument in node.arguments])


def _read(value, words):
    for word in words:
        goes_on = isinstance(value, dict) or (isinstance(value, list) and isinstance(word, int))
        value = _step(value, word) if goes_on else ABSENT
    return ABSENT if value is None else value


def _step(value, word):
    if value is ABSENT or value is FAILED:
        return value
    if isinstance(value, dict):
        found = value.get(word)
    elif isinstance(value, list) and isinstance(word, int):
        found = value[word] if word < len(value) else None
    else:
        return ABSENT  # what is no object has no members
    return ABSENT if found is None else found


def _logic(found, *, stop):
    if any(each is stop for each in found):
        return stop
    return (not stop) if all(isinstance(each, bool) for each in found) else _trouble(found)


def _trouble(found):
    troubles = [each for each in found if not isinstance(each, bool)]
    return ABSENT if all(each is ABSENT for each in troubles) else FAILED


def same(left, right):
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def _call(node, arguments):
    missing = next((each for each in arguments if each is ABSENT or each is FAILED), None)
    if missing is not None:
        return missing
    left, right = (*arguments, None)[:2]
    texts = isinstance(left, str) and isinstance(right, str)
    match node.function:
        case "dyn":
            return left
        case "_==_":
            return same(left, right)
        case "_!=_":
            return not same(left, right)
        case "_in_":
            if isinstance(right, dict):
                return isinstance(left, str) and right.get(left) is not None
            return any(same(left, each) for each in right) if isinstance(right, list) else FAILED
        case "_<_" | "_>=_":
            numbers = isinstance(left, int | float) and isinstance(right, int | float) and isinstance(left, bool) is isinstance(right, bool)
            if not texts and not numbers:
                return FAILED
            return (left < right) is (node.function == "_<_")
        case ".startsWith":
            return left.startswith(right) if texts else FAILED
        case ".contains":
            return right in left if texts else FAILED
        case ".lowerAscii":
            return left.lower() if isinstance(left, str) else FAILED
        case "size" | ".size":
            return len(left) if isinstance(left, str | list | dict) else FAILED
        case "_[_]":
            return _step(left, right)
    raise AssertionError(node)
