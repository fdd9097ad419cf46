# SPDX-License-Identifier: Apache-2.0
"""The words of made-up people and their talks with made-up agents."""

from __future__ import annotations

__all__ = ["BOT_LINES", "CITIES", "FIRST_NAMES", "HUMAN_LINES", "LAST_NAMES", "TOPICS"]

FIRST_NAMES = ("Ada", "Bjørn", "Chloé", "Dmitri", "Elif", "Fátima", "Grace", "Hiroshi", "İnci", "Jürgen")
LAST_NAMES = ("Sample", "Müller", "O'Example", "Nguyễn", "Łukasz-Test", "Doe", "Ejemplo", "山田", "Öztürk")
CITIES = ("Berlin", "São Paulo", "Zürich", "New York", "Kraków", "Reykjavík", "Málaga", "東京")
TOPICS = ("an appointment", "an invoice", "a delivery", "a new contract", "a password", "opening hours")
BOT_LINES = (
    "Hello, you have reached the front desk, how can I help?",
    "Of course. May I have your name and the city you are calling from?",
    "Einen Moment bitte, ich prüfe das für Sie.",
    "Tuesday at half past nine is free… would that suit you?",
    "Let me repeat: you would like to move it to next week, is that right?",
    "Merci beaucoup, c'est noté. Puis-je faire autre chose pour vous ?",
    "I am afraid the line is busy; shall I call you back later?",
    'You will get a message that says "confirmed" within 5 minutes.',
)
HUMAN_LINES = (
    "Hi, it is about {topic}.",
    "Yes, that is right.",
    "My name is {name}, from {city}.",
    "Hmm, könnten wir das auf Donnerstag verschieben?",
    "No, not that one… the other\tone \\ the first.",
    "¿Puede repetirlo, por favor?",
    "Great 👍 thank you!",
    "Sorry, I did not hear you. 😅",
)
