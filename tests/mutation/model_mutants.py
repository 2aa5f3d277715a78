"""Defects in what a model accepts and in what an order is expected to cost."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

SCHEMA = "unit/poyo/test_input_schema.py"
RULES = "unit/poyo/test_input_rules.py"
PRICING = "unit/poyo/test_pricing.py"
CATALOG = "unit/poyo/test_model_catalog.py"
GPT_IMAGE = "unit/poyo/test_gpt_image_models.py"

MODELS = (
    Mutant(
        "a price that two publications name differently is called exact",
        "poyo/model_catalog.py",
        'return replace(found, exact=False) if self.rules.get("bound") else found',
        "return found",
        CATALOG,
    ),
    Mutant(
        "prices that a formula does not use are not noticed",
        "poyo/pricing.py",
        "if billing.get(each) is not None):",
        "if False):",
        PRICING,
    ),
    Mutant(
        "references that no formula mentions are charged once for several images",
        "poyo/pricing.py",
        "times = 1 if rule.each_reference else images",
        "times = 1",
        PRICING,
    ),
    Mutant(
        "several images are priced as one",
        "poyo/pricing.py",
        "total = of_image * images",
        "total = of_image",
        PRICING,
    ),
    Mutant(
        "the most that images can cost is called exact",
        "poyo/pricing.py",
        "exact = exact and (images == 1 or each or rule.each_image)",
        "exact = bool(exact)",
        PRICING,
    ),
    Mutant(
        "reference images are priced as none",
        "poyo/pricing.py",
        '(billing.get("input_image_credits") or 0) * references',
        '(billing.get("input_image_credits") or 0) * 0',
        PRICING,
    ),
    Mutant(
        "a charge for references that no formula mentions is called exact",
        "poyo/pricing.py",
        "(rule.each_reference or not extras) and not masks",
        "not masks",
        PRICING,
    ),
    Mutant(
        "an unknown quality is priced as the cheapest",
        "poyo/pricing.py",
        "return max(possible), len(possible) == 1",
        "return min(possible), len(possible) == 1",
        PRICING,
    ),
    Mutant(
        "megapixels are rounded to the nearest",
        "poyo/pricing.py",
        "to_integral_value(ROUND_CEILING)",
        "to_integral_value()",
        PRICING,
    ),
    Mutant(
        "the number in a formula need not be the one beside it",
        "poyo/pricing.py",
        "if given is None or Decimal(written) != Decimal(given):",
        "if given is None:",
        PRICING,
    ),
    Mutant(
        "a formula is matched by its beginning",
        "poyo/pricing.py",
        "found = FORMULA.fullmatch(text)",
        "found = FORMULA.match(text)",
        PRICING,
    ),
    Mutant(
        "every size of 4K is billed as 2K",
        "poyo/custom_size.py",
        'if ordered != "4K" or value in rule["sizes"]:',
        'if ordered != "4K":',
        GPT_IMAGE,
    ),
    Mutant(
        "an automatic size is billed as ordered",
        "poyo/custom_size.py",
        'return str(rule["auto"])',
        "return ordered",
        GPT_IMAGE,
    ),
    Mutant(
        "the longest edge needs no resolution of its own",
        "poyo/custom_size.py",
        'if values.get("resolution") in needs:',
        "if True:",
        GPT_IMAGE,
    ),
    Mutant(
        "a boolean is a whole number",
        "poyo/input_schema.py",
        "any(type(value) in TYPES[each] for each in names)",
        "any(isinstance(value, TYPES[each]) for each in names)",
        SCHEMA,
    ),
    Mutant(
        "unknown fields are sent, dropped and paid for",
        "poyo/input_schema.py",
        'if schema.get("additionalProperties") is False:',
        'if schema.get("additionalProperties") is None:',
        CATALOG,
    ),
    Mutant(
        "a size may end with a line break",
        "poyo/input_schema.py",
        r'return re.compile(rf"{pattern[:-1]}\Z" if end else pattern, re.ASCII)',
        "return re.compile(pattern, re.ASCII)",
        SCHEMA,
    ),
    Mutant(
        "an empty array of images is an image for a mask",
        "poyo/model_catalog.py",
        "if each is not None and not (each == [] and self._is_array(name))",
        "if each is not None",
        GPT_IMAGE,
    ),
    Mutant(
        "an empty array is an absent text",
        "poyo/model_catalog.py",
        "not (each == [] and self._is_array(name))",
        "each != []",
        CATALOG,
    ),
    Mutant(
        "rules across fields are not looked at",
        "poyo/model_catalog.py",
        'checks = self.rules.get("checks", ())',
        "checks = ()",
        CATALOG,
    ),
    Mutant(
        "rules across fields read what was given without the defaults",
        "poyo/model_catalog.py",
        "input_rules.broken(checks, self.effective(given), POINTER, invalid)",
        "input_rules.broken(checks, given, POINTER, invalid)",
        GPT_IMAGE,
    ),
    Mutant(
        "a rule reads a field that is invalid by itself",
        "poyo/input_rules.py",
        "if invalid.isdisjoint(kind.fields(rule)) and (detail",
        "if (detail",
        RULES,
    ),
)
