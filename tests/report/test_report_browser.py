"""The report in a real browser: what it shows is what Python computes."""

from __future__ import annotations

import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import milliseconds, show
from toy_report import contents, utterances

from asr_lm.hypotheses.utterance import Utterance
from asr_lm.report.contents import ReportContents
from asr_lm.report.page import write_page
from asr_lm.rescoring.weights import Weights

MILLISECONDS_OPEN = 15_000
MILLISECONDS_STEP = 250
"""What a loaded machine is given; ``tests/benchmarks/report.py`` measures against what is promised."""


@pytest.fixture
def opened(browser: Any, report_path: Path) -> Any:
    show(browser, report_path)
    return browser


def complaints(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def set_weight(driver: Any, name: str, value: float, kind: str = "number") -> None:
    script = """
        const node = document.querySelector(`input[type=${arguments[2]}][data-feature="${CSS.escape(arguments[0])}"]`);
        node.value = String(arguments[1]);
        node.dispatchEvent(new Event("input"));
    """
    driver.execute_script(script, name, value, kind)


def choose(driver: Any, name: str, value: str) -> None:
    script = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    )
    driver.execute_script(script, name, value)
    driver.execute_async_script("setTimeout(arguments[0], 150)")


def search(driver: Any, text: str) -> None:
    script = "const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    driver.execute_script(script, text)


def rate(driver: Any) -> float:
    return float(driver.execute_script("return document.getElementById('rate').dataset.value"))


def shown(driver: Any) -> list[int]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#items > details')].map(n => Number(n.dataset.place))"
    )


def expected(choices: Any, weights: Weights) -> float:
    value = choices.table.word_errors(choices.table.lists.best(weights.totals(choices.table))).rate
    assert value is not None
    return value


def test_it_opens_without_a_complaint(opened: Any) -> None:
    assert complaints(opened) == []
    assert opened.execute_script("return failure.hidden")
    assert "word error rate" in opened.find_element("css selector", "h1").text


def test_sliders_give_what_python_gives(opened: Any, report: ReportContents) -> None:
    draw = random.Random(0)
    lists = [*(part.choices for part in report.lists), report.development]
    for system in report.weights:
        choose(opened, "system", system)
        for place, choices in enumerate(lists):
            choose(opened, "set", str(place))
            weights = report.weights[system]
            assert rate(opened) == pytest.approx(expected(choices, weights), abs=1e-9)
            for name in weights.values:
                value = draw.uniform(-2, 2)
                set_weight(opened, name, value)
                weights = weights.replaced(values=weights.values | {name: value})
                assert rate(opened) == pytest.approx(expected(choices, weights), abs=1e-9)


def test_ties_go_to_the_first_as_in_python(opened: Any, report: ReportContents) -> None:
    choose(opened, "system", "harbour")
    # Only few values of a small length are left, so most lists have ties.
    values = dict.fromkeys(report.weights["harbour"].values, 0.0) | {"words": 0.5}
    for name, value in values.items():
        set_weight(opened, name, value)
    assert rate(opened) == pytest.approx(expected(report.lists[0].choices, Weights(values=values)), abs=1e-9)


def test_a_hand_on_a_slider_is_marked_and_taken_back(opened: Any) -> None:
    before = rate(opened)
    mark = opened.find_element("id", "mark")
    assert "played no part" in mark.text
    set_weight(opened, "harbour", 0.0, "range")
    assert "Tuned by hand on test0.json" in mark.text
    assert "hand" in mark.get_attribute("class")
    assert opened.find_element("css selector", "input[type=number][data-feature=harbour]").get_attribute("value") == "0"
    opened.find_element("id", "reset").click()
    assert rate(opened) == before
    assert "hand" not in mark.get_attribute("class")
    choose(opened, "set", "2")
    assert "tuned on this very set" in mark.text


def test_an_arrow_key_moves_a_slider(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    slider = opened.find_element("css selector", "input[type=range][data-feature=harbour]")
    number = opened.find_element("css selector", "input[type=number][data-feature=harbour]")
    before = float(number.get_attribute("value"))
    slider.send_keys(Keys.ARROW_RIGHT)
    assert float(number.get_attribute("value")) > before
    assert "Tuned by hand" in opened.find_element("id", "mark").text


def test_filters_and_their_counts(opened: Any, report: ReportContents) -> None:
    choices = report.lists[0].choices
    errors = choices.table.errors.sum(1)
    change = errors[choices.rows[report.headline]] - errors[choices.rows["first_pass"]]
    groups = {"all": change < 99, "fixed": change < 0, "broken": change > 0, "same": change == 0}
    for name, group in groups.items():
        opened.find_element("css selector", f"input[name=show][value={name}] + span").click()
        assert opened.find_element("id", f"count-{name}").text == str(group.sum())
        assert shown(opened) == np.flatnonzero(group).tolist()[:25]
    opened.find_element("css selector", "input[name=show][value=all] + span").click()
    opened.find_element("id", "more").click()
    assert len(shown(opened)) == len(change)


def test_the_order_follows_the_change(opened: Any, report: ReportContents) -> None:
    choices = report.lists[0].choices
    errors = choices.table.errors.sum(1)
    change = errors[choices.rows[report.headline]] - errors[choices.rows["first_pass"]]
    for order, keys in (("gain", change), ("loss", -change), ("long", -choices.table.reference_words)):
        choose(opened, "sort", order)
        assert shown(opened) == np.argsort(keys, kind="stable").tolist()[:25]


def test_search_finds_ids_and_words(opened: Any, report: ReportContents) -> None:
    search(opened, "U0007")
    assert shown(opened) == [7]
    search(opened, "no such words anywhere")
    assert shown(opened) == []
    assert "No utterance fits" in opened.find_element("id", "found").text
    search(opened, "")
    assert len(shown(opened)) == 25


def test_keys_lead_through_the_utterances(opened: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    def keys(*pressed: str) -> None:
        ActionChains(opened).send_keys(*pressed).perform()

    place = "return Number(document.activeElement.closest('details').dataset.place)"
    keys("j", "j")
    assert opened.execute_script(place) == 1
    keys("k")
    assert opened.execute_script(place) == 0
    keys(Keys.ENTER)
    opened.execute_async_script("setTimeout(arguments[0], 100)")
    assert opened.execute_script("return document.activeElement.closest('details').open")
    keys("/")
    assert opened.execute_script("return document.activeElement.id") == "search"
    keys("j")
    assert opened.execute_script("return document.getElementById('search').value") == "j"


def test_an_open_utterance_shows_alignment_words_and_scores(opened: Any, report: ReportContents) -> None:
    choices = report.lists[0].choices
    table = choices.table
    errors = table.errors.sum(1)
    place = int(np.argmax(errors[choices.rows["first_pass"]]))
    choose(opened, "sort", "list")
    search(opened, table.utterances[place])
    opened.execute_script("document.querySelector('#items > details').open = true")
    opened.execute_async_script("setTimeout(arguments[0], 100)")
    body = opened.find_element("css selector", "#items .body")
    assert choices.references[place] == " ".join(
        opened.execute_script(
            "return [...document.querySelectorAll('.aligned tbody')].flatMap(b => "
            "[...b.rows[0].querySelectorAll('td:not(.n)')].map(c => c.textContent)).filter(Boolean)"
        )
    )
    marks = opened.execute_script(
        "return [...document.querySelectorAll('.aligned tbody')].flatMap(b => [...b.rows].filter(r => "
        "r.cells[0].textContent.includes('first pass') || r.cells[0].textContent === 'every system').slice(0, 1)"
        ".flatMap(r => [...r.querySelectorAll('span')]"
        ".flatMap(s => s.className === 'ins' ? s.textContent.split(' ') : [1])))"
    )
    assert len(marks) == errors[choices.rows["first_pass"][place]]
    assert "</s>" in body.text
    assert "harbour" in body.text
    assert (
        len(body.find_elements("css selector", ".figures tbody tr")) == min(8, table.lists.lengths[place])
        or len(body.find_elements("css selector", ".figures tbody tr")) > 8
    )


def test_another_list_is_another_report(opened: Any, report: ReportContents) -> None:
    choose(opened, "list", "1")
    assert rate(opened) == pytest.approx(expected(report.lists[1].choices, report.weights[report.headline]), abs=1e-9)
    assert shown(opened) == list(range(9))
    assert "no ref." in opened.find_element("css selector", '#items > details[data-place="2"]').text
    assert opened.execute_script("return document.querySelector('#overview [data-list=\"0\"]').hidden")


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_width_scrolls_sideways_and_both_themes_hold(
    browser: Any, report_path: Path, width: int, dark: bool
) -> None:
    show(browser, report_path, width, dark)
    browser.execute_script("document.querySelectorAll('#items > details').forEach((n, i) => { n.open = i < 3; })")
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    paper = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (browser.execute_script(paper) < 60) == dark
    for _ in range(2 if dark else 1):
        browser.find_element("id", "theme").click()
    assert browser.find_element("id", "theme").text == ("Dark" if dark else "Light")
    assert (browser.execute_script(paper) < 60) == dark
    browser.execute_script("localStorage.clear()")
    assert complaints(browser) == []


CONTRAST = """
    const luminance = (colour) => {
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const style = getComputedStyle(document.documentElement);
    const value = (name) => luminance(style.getPropertyValue(name).trim());
    return arguments[0].map(([ink, paper]) => {
      const [a, b] = [value(ink), value(paper)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    });
"""


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_read(browser: Any, report_path: Path, dark: bool) -> None:
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for lines that carry meaning."""
    show(browser, report_path, dark=dark)
    text = [(ink, paper) for ink in ("--ink", "--soft", "--accent") for paper in ("--paper", "--page")]
    text += [("--ink", "--accent-soft"), ("--on-accent", "--accent")]
    text += [(f"--{kind}", f"--{kind}-soft") for kind in ("good", "bad", "add", "warn")]
    for pair, contrast in zip(text, browser.execute_script(CONTRAST, text), strict=True):
        assert contrast >= 4.5, (pair, contrast)
    lines = [(f"--series-{number}", "--paper") for number in range(8)] + [("--control", "--paper")]
    for pair, contrast in zip(lines, browser.execute_script(CONTRAST, lines), strict=True):
        assert contrast >= 3.0, (pair, contrast)


def test_every_control_has_a_name(opened: Any) -> None:
    nameless = opened.execute_script("""
        return [...document.querySelectorAll("input, select, button, [tabindex='0']")].filter((n) => n.offsetParent &&
          !n.labels?.length && !n.getAttribute("aria-label") && !n.textContent.trim()).map((n) => n.outerHTML)
    """)
    assert nameless == []


@pytest.mark.parametrize(
    ("name", "lists"),
    [
        ("one utterance", utterances(1, 6, 3)),
        ("one hypothesis", [Utterance(u.id, u.hypotheses[:1], u.reference) for u in utterances(5, 3, 4)]),
        ("no error", [Utterance(u.id, u.hypotheses[:1], u.hypotheses[0].text) for u in utterances(5, 3, 4)]),
        ("all wrong", [Utterance(u.id, u.hypotheses, "quite other words") for u in utterances(5, 3, 4)]),
        ("nothing said", [Utterance(u.id, u.hypotheses, "") for u in utterances(2, 3, 4)]),
    ],
)
def test_odd_lists_make_honest_pages(browser: Any, tmp_path: Path, name: str, lists: list[Utterance]) -> None:
    report = contents([lists], utterances(30, 6, 1))
    write_page(report, tmp_path / "odd.html")
    show(browser, tmp_path / "odd.html")
    assert complaints(browser) == []
    text = browser.find_element("tag name", "body").text
    assert "NaN" not in text
    assert "undefined" not in text
    assert "Infinity" not in text
    assert "not enough data" in text or name not in ("one utterance", "nothing said")
    assert browser.execute_script("return [...document.querySelectorAll('figure svg')].every(s => s.childElementCount)")


def test_characters_are_counted_without_their_spaces(browser: Any, tmp_path: Path) -> None:
    words = ("北京", "天气", "很", "好", "明天", "下雨", "我们", "去")
    report = contents([utterances(12, 6, 3, words)], utterances(40, 6, 1, words), unit="character")
    write_page(report, tmp_path / "chinese.html")
    show(browser, tmp_path / "chinese.html")
    assert "character error rate" in browser.find_element("css selector", "h1").text
    assert rate(browser) == pytest.approx(expected(report.lists[0].choices, report.weights[report.headline]), abs=1e-9)
    browser.execute_script("document.querySelector('#items > details').open = true")
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    row = "return [...document.querySelector('.aligned tbody').rows[0].cells].slice(2).map(c => c.textContent)"
    cells = [cell for cell in browser.execute_script(row) if cell]
    assert "".join(cells)
    assert all(len(cell) == 1 for cell in cells)
    assert complaints(browser) == []


def test_a_page_cut_off_says_so(browser: Any, report_path: Path, tmp_path: Path) -> None:
    text = report_path.read_text()
    begin = text.index('id="packed-0">') + 200
    (tmp_path / "cut.html").write_text(text[:begin] + text[text.index("</script>", begin) :])
    show(browser, tmp_path / "cut.html")
    assert "cannot be read" in browser.find_element("id", "failure").text
    browser.get_log("browser")


def test_it_stays_quick(browser: Any, tmp_path: Path) -> None:
    report = contents([utterances(300, 60, 3)], utterances(30, 6, 1), strips=False)
    write_page(report, tmp_path / "large.html")
    show(browser, tmp_path / "large.html")
    assert milliseconds(browser, "open")[0] < MILLISECONDS_OPEN
    for step in range(9):
        set_weight(browser, "harbour", 0.1 * step, "range")
    assert statistics.median(milliseconds(browser, "step")) < MILLISECONDS_STEP
